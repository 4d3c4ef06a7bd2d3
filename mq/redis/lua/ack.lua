-- ARGV: base, group, consumer, 1 if the queue is ordered, then "P:ID", attempt and size of each. Returns for each 1, or
-- 0: it is another's. The jobs of a stream go together: a call of the server for each command of each job is most of
-- what this costs else.
local k = call('HGET', base .. 'g', ARGV[2])
if not k then return fail('NOQUEUE', 'there is no such queue') end
local consumer = ARGV[3]
local results, jobs, bytes = {}, 0, 0
local parts = {} -- partition -> where in ARGV
for i = 5, #ARGV, 3 do
	local p = split(ARGV[i])
	parts[p] = parts[p] or {}
	table.insert(parts[p], i)
end
for p, list in pairs(parts) do
	local key, has = stream(k, p), {}
	if #list > 1 then -- most likely they are among the consumer's first
		for _, x in ipairs(call('XPENDING', key, 'g', '-', '+', #list + 16, consumer)) do has[x[1]] = x[4] end
	end
	local ids, again = {}, {} -- again: the members that have a history
	for _, i in ipairs(list) do
		local _, id = split(ARGV[i])
		local attempt = tonumber(ARGV[i + 1])
		local is = has[id] == attempt or not has[id] and mine(key, id, consumer, attempt)
		has[id] = -1 -- it is in the list once
		if is then
			ids[#ids + 1] = id
			if attempt > 1 then again[#again + 1] = ARGV[i] end
			jobs, bytes = jobs + 1, bytes + ARGV[i + 2]
		end
		results[(i - 2) / 3] = is and 1 or 0
	end
	if #ids > 0 then
		call('XACK', key, 'g', unpack(ids))
		call('XDEL', key, unpack(ids))
	end
	if #again > 0 then call('HDEL', base .. 'h:' .. k, unpack(again)) end
end
-- One that somebody else has deleted from the stream is counted off too: it is acknowledged this once.
if jobs > 0 then count(k, -jobs, -bytes) end
if ARGV[4] == '1' then wake() end
return results
