-- ARGV: base. Returns jobs, bytes, dead ones, the ID of the oldest or "", and for each group its name, how many wait,
-- how many are out.
local parts = tonumber(call('HGET', base .. 'o', 'partitions') or -1)
if parts < 0 then return fail('NOQUEUE', 'there is no such queue') end
local n = call('HMGET', base .. 'o', 'jd', 'bd', 'j0', 'b0')
for i = 1, 4 do n[i] = tonumber(n[i] or 0) end
local jobs, bytes, oldest, out = n[3], n[4], '', {}
local function old(k, p)
	local x = call('XRANGE', stream(k, p), '-', '+', 'COUNT', 1)[1]
	if not x then return end
	local ms = tonumber(x[1]:match('^%d+'))
	if oldest == '' or ms < oldest then oldest = ms end
end
local groups = call('HGETALL', base .. 'g')
for i = 1, #groups, 2 do
	local k, pending = groups[i + 1], 0
	for p = 0, parts - 1 do
		pending = pending + call('XPENDING', stream(k, p), 'g')[1]
		old(k, p)
	end
	local g = call('HMGET', base .. 'o', 'j' .. k, 'b' .. k)
	local j = tonumber(g[1] or 0)
	if k ~= '0' then
		jobs, bytes = math.max(jobs, j), bytes + tonumber(g[2] or 0)
	end
	pending = pending - call('ZCARD', base .. 'r:' .. k)
	out[#out + 1] = {groups[i], j - pending + n[1], pending}
end
if #groups == 0 then
	for p = 0, parts - 1 do old(0, p) end
end
return {jobs + n[1], bytes + n[2], call('XLEN', base .. 'dead'), oldest, out}
