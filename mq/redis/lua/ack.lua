-- ARGV: base, group, consumer, then "P:ID", attempt and size of each. Returns for each 1, or 0: it is another's.
local k = call('HGET', base .. 'g', ARGV[2])
if not k then return fail('NOQUEUE', 'there is no such queue') end
local ordered = call('HGET', base .. 'o', 'ordered') == '1'
local results, jobs, bytes = {}, 0, 0
for i = 4, #ARGV, 3 do
	local member = ARGV[i]
	local p, id = split(member)
	if mine(stream(k, p), id, ARGV[3], ARGV[i + 1]) then
		if remove(k, member) then jobs, bytes = jobs + 1, bytes + ARGV[i + 2] end
		results[#results + 1] = 1
	else
		results[#results + 1] = 0
	end
end
if jobs > 0 then count(k, -jobs, -bytes) end
if ordered then wake() end
return results
