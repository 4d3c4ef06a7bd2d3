-- ARGV: base, group, then consumers and what w had of each, of such whose connection has ended. Gives their jobs to
-- others, and those that were out for longer than their consumer's visibility. Returns w.
local k = call('HGET', base .. 'g', ARGV[2])
if not k then return fail('NOQUEUE', 'there is no such queue') end
local w, t, moved = base .. 'w:' .. k, now(), false
local parts = tonumber(call('HGET', base .. 'o', 'partitions'))

-- give gives back what a consumer has had for idle ms, and tells whether that is all it has had.
local function give(consumer, idle)
	local all = true
	for p = 0, parts - 1 do
		local key = stream(k, p)
		local list = call('XPENDING', key, 'g', 'IDLE', idle, '-', '+', 256, consumer)
		for _, x in ipairs(list) do park(k, p, x[1], t) end
		moved = moved or #list > 0
		all = all and #list < 256
	end
	return all
end

for i = 3, #ARGV, 2 do
	local consumer = ARGV[i]
	if call('HGET', w, consumer) == ARGV[i + 1] and give(consumer, 0) then
		for p = 0, parts - 1 do call('XGROUP', 'DELCONSUMER', stream(k, p), 'g', consumer) end
		call('HDEL', w, consumer)
	end
end
local all = call('HGETALL', w)
for i = 1, #all, 2 do give(all[i], tonumber(all[i + 1]:match('^%d+'))) end
if moved then wake() end
return all
