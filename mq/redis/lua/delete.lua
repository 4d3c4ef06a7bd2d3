-- ARGV: base, the set of all queues, the queue's name. The IDs that are kept for a time stay for that time.
local parts = tonumber(call('HGET', base .. 'o', 'partitions') or 0)
local known = call('SREM', ARGV[2], ARGV[3])
for _, k in ipairs(numbers()) do
	for p = 0, parts - 1 do call('UNLINK', stream(k, p)) end
	call('UNLINK', base .. 'r:' .. k, base .. 'h:' .. k, base .. 'w:' .. k)
end
call('UNLINK', base .. 'o', base .. 'g', base .. 'd', base .. 'D', base .. 'dead', base .. 'wake')
return known
