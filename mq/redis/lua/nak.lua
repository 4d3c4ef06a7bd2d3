-- ARGV: base, group, consumer, "P:ID", attempt, delay in ms, history. Returns 1, or 0: it is another's.
local k = call('HGET', base .. 'g', ARGV[2])
if not k then return fail('NOQUEUE', 'there is no such queue') end
local member = ARGV[4]
local p, id = split(member)
if not mine(stream(k, p), id, ARGV[3], ARGV[5]) then return 0 end
call('HSET', base .. 'h:' .. k, member, ARGV[7])
park(k, p, id, now() + ARGV[6])
wake()
return 1
