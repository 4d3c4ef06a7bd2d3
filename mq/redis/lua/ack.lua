-- ARGV: base, group, consumer, 1 if the queue is ordered, then for each partition its number, how many jobs, and of each
-- job its ID, attempt and size. Returns for each 1, or 0: it is another's. The jobs of a stream go together: a call of
-- the server for each command of each job is most of what this costs else.
local argv = ARGV
local k = call('HGET', base .. 'g', argv[2])
if not k then return fail('NOQUEUE', 'there is no such queue') end
local consumer = argv[3]
local results, jobs, bytes, i = {}, 0, 0, 5
while i < #argv do
	local p, n = argv[i], tonumber(argv[i + 1])
	local key, has = stream(k, p), {}
	if n > 1 then -- most likely they are among the consumer's first
		for _, x in ipairs(call('XPENDING', key, 'g', '-', '+', n + 16, consumer)) do has[x[1]] = x[4] end
	end
	local ids, again = {}, {} -- again: the members that have a history
	i = i + 2
	for j = i, i + 3 * n - 1, 3 do
		local id, attempt = argv[j], tonumber(argv[j + 1])
		local is = has[id]
		if is then is = is == attempt else is = mine(key, id, consumer, attempt) end
		has[id] = -1 -- it is in the list once
		if is then
			ids[#ids + 1] = id
			if attempt > 1 then again[#again + 1] = p .. ':' .. id end
			jobs, bytes = jobs + 1, bytes + argv[j + 2]
		end
		results[#results + 1] = is and 1 or 0
	end
	i = i + 3 * n
	if #ids > 0 then
		call('XACK', key, 'g', unpack(ids))
		call('XDEL', key, unpack(ids))
	end
	if #again > 0 then call('HDEL', base .. 'h:' .. k, unpack(again)) end
end
-- One that somebody else has deleted from the stream is counted off too: it is acknowledged this once.
if jobs > 0 then count(k, -jobs, -bytes) end
if argv[4] == '1' then wake() end
return results
