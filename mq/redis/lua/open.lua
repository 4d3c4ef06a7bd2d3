-- ARGV: base, the set of all queues, the queue's name, gen, then fields and values. Returns the values that it has.
local known, name = ARGV[2], ARGV[3]
if call('EXISTS', base .. 'o') == 0 then
	call('HSET', base .. 'o', 'gen', ARGV[4], unpack(ARGV, 5))
	call('SADD', known, name)
end
local fields = {}
for i = 5, #ARGV, 2 do fields[#fields + 1] = ARGV[i] end
return call('HMGET', base .. 'o', unpack(fields))
