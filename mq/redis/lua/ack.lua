-- ARGV: base, group, consumer, then "P:ID", attempt and size of each. Returns for each 1, or 0: it is another's.
local k = call('HGET', base .. 'g', ARGV[2])
if not k then return fail('NOQUEUE', 'there is no such queue') end
local ordered = call('HGET', base .. 'o', 'ordered') == '1'
local results = {}
for i = 4, #ARGV, 3 do
	local member = ARGV[i]
	local p, id = split(member)
	if mine(stream(k, p), id, ARGV[3], ARGV[i + 1]) then
		done(k, member, tonumber(ARGV[i + 2]))
		results[#results + 1] = 1
	else
		results[#results + 1] = 0
	end
end
if ordered then wake() end
return results
