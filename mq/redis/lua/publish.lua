-- ARGV: base, then "plain" and for each job what the stream has; or "full" and for each its ID, its partition, the time
-- in ms before which it waits (0: none), and what the stream has. They are plain where it has no partitions, keeps no
-- IDs, and no job waits for a time: the server has least to read then.
-- Returns 1: all are stored; or for each 1: stored, 2: there was one with its ID, 3: the queue is full.
local settings = base .. 'o'
local o = call('HMGET', settings, 'gen', 'dedupe', 'maxjobs', 'maxbytes', 'partitions', 'ordered', 'groups', 'jd', 'bd',
	'j0', 'b0')
local gen, dedupe, most, mostBytes = o[1], tonumber(o[2]), tonumber(o[3]), tonumber(o[4])
local plain = ARGV[2] == 'plain'
if not gen then return fail('NOQUEUE', 'there is no such queue') end
if plain and (dedupe > 0 or o[5] ~= '1') then return fail('NOQUEUE', 'it was made anew with other settings') end
-- A queue is as full as its fullest group. There is the first one before it has a name.
local groups = math.max(tonumber(o[7] or 0), 1)
local j, b = {tonumber(o[10] or 0)}, {tonumber(o[11] or 0)}
local jobs, bytes = j[1], b[1]
for k = 1, groups - 1 do
	local g = call('HMGET', settings, 'j' .. k, 'b' .. k)
	j[k + 1], b[k + 1] = tonumber(g[1] or 0), tonumber(g[2] or 0)
	jobs, bytes = math.max(jobs, j[k + 1]), math.max(bytes, b[k + 1])
end
jobs, bytes = jobs + (o[8] or 0), bytes + (o[9] or 0)

local more, moreBytes = 0, 0 -- that wait in the groups
local keys = {} -- partition -> the streams of the groups
local function put(p, job)
	local streams = keys[p]
	if not streams then
		streams = {}
		for k = 0, groups - 1 do streams[k + 1] = stream(k, p) end
		keys[p] = streams
	end
	for k = 1, groups do call('XADD', streams[k], '*', 'j', job) end
	more, moreBytes = more + 1, moreBytes + size(job)
end

local results, all, look, t = {}, true, false, nil
local function full(job)
	jobs, bytes = jobs + 1, bytes + size(job)
	if jobs <= most and bytes <= mostBytes then return false end
	jobs, bytes = jobs - 1, bytes - size(job)
	return true
end

local last = #ARGV
if plain and groups == 1 then -- most likely there is room for all: no table and no function in this loop
	local argv, key, sum = ARGV, stream(0, 0), 0
	for i = 3, last do sum = sum + #argv[i] end
	sum = sum + (last - 2) * size('')
	if jobs + last - 2 <= most and bytes + sum <= mostBytes then
		for i = 3, last do call('XADD', key, '*', 'j', argv[i]) end
		more, moreBytes, last = last - 2, sum, 0
	end
end
if plain then
	for i = 3, last do
		if full(ARGV[i]) then
			all, results[i - 2] = false, 3
		else
			results[i - 2] = 1
			put('0', ARGV[i])
		end
	end
else
	for i = 3, last, 4 do
		local seen = dedupe > 0 and base .. 'i:' .. gen .. ':' .. ARGV[i]
		local time, job = ARGV[i + 2], ARGV[i + 3]
		local result = 1
		if seen and call('EXISTS', seen) == 1 then
			result = 2
		elseif full(job) then
			result = 3
		else
			if seen then call('SET', seen, '', 'PX', dedupe) end
			if time ~= '0' and not t then t = now() end
			if time ~= '0' and tonumber(time) > t then
				local member = string.format('%016d', call('HINCRBY', settings, 'seq', 1))
				call('HSET', base .. 'D', member, cmsgpack.pack({ARGV[i + 1], job}))
				call('ZADD', base .. 'd', time, member)
				count('d', 1, size(job))
				look = true
			else
				put(ARGV[i + 1], job)
			end
		end
		all, results[#results + 1] = all and result == 1, result
	end
end
if more > 0 then
	for k = 1, groups do
		call('HSET', settings, 'j' .. k - 1, j[k] + more, 'b' .. k - 1, b[k] + moreBytes)
	end
	look = look or o[6] == '1' -- who waits for an ordered queue waits for this alone
end
if look then wake() end
return all and 1 or results
