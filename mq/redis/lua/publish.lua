-- ARGV: base, then for each job its ID, partition, time in ms before which it waits (0: none), size, meta and body.
-- Returns for each 1: stored, 2: there was one with its ID, 3: the queue is full.
local o = call('HMGET', base .. 'o', 'gen', 'dedupe', 'maxjobs', 'maxbytes', 'partitions')
if not o[1] then return fail('NOQUEUE', 'there is no such queue') end
local gen, dedupe, most, mostBytes = o[1], tonumber(o[2]), tonumber(o[3]), tonumber(o[4])
local ks, t = numbers(), now()
local n = call('HMGET', base .. 'n', 'jd', 'bd')
local jobs, bytes = 0, 0
for _, k in ipairs(ks) do -- a queue is as full as its fullest group
	local g = call('HMGET', base .. 'n', 'j' .. k, 'b' .. k)
	jobs, bytes = math.max(jobs, tonumber(g[1] or 0)), math.max(bytes, tonumber(g[2] or 0))
end
jobs, bytes = jobs + (n[1] or 0), bytes + (n[2] or 0)
local results, look = {}, false
local more, moreBytes = 0, 0 -- that wait in the groups
local keys = {} -- partition -> the streams of the groups
for i = 2, #ARGV, 6 do -- with no work of the server that can be left out, and no number made to text: there are many
	local p, time, size = ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
	local seen = dedupe > 0 and base .. 'i:' .. gen .. ':' .. ARGV[i]
	local result = 1
	if seen and call('EXISTS', seen) == 1 then
		result = 2
	elseif jobs + 1 > most or bytes + size > mostBytes then
		result = 3
	else
		if seen then call('SET', seen, '', 'PX', dedupe) end
		if time ~= '0' and tonumber(time) > t then
			local member = string.format('%016d', call('HINCRBY', base .. 'n', 'seq', 1))
			call('HSET', base .. 'D', member, cmsgpack.pack({p, ARGV[i + 4], ARGV[i + 5], size}))
			call('ZADD', base .. 'd', time, member)
			count('d', 1, size)
			look = true
		else
			local streams = keys[p]
			if not streams then
				streams = {}
				for n, k in ipairs(ks) do streams[n] = stream(k, p) end
				keys[p] = streams
			end
			for n = 1, #streams do
				call('XADD', streams[n], '*', 'm', ARGV[i + 4], 'b', ARGV[i + 5], 'n', ARGV[i + 3])
			end
			more, moreBytes = more + 1, moreBytes + size
			look = look or o[5] ~= '1'
		end
		jobs, bytes = jobs + 1, bytes + size
	end
	results[#results + 1] = result
end
if more > 0 then
	for _, k in ipairs(ks) do count(k, more, moreBytes) end
end
if look then wake() end
return results
