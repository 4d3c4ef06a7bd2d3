-- ARGV: base, group. The streams of a later group are empty, so each group begins at its streams' beginning.
local parts = call('HGET', base .. 'o', 'partitions')
if not parts then return fail('NOQUEUE', 'there is no such queue') end
if call('HEXISTS', base .. 'g', ARGV[2]) == 1 then return 0 end
local k = call('HLEN', base .. 'g')
call('HSET', base .. 'g', ARGV[2], k)
call('HSET', base .. 'o', 'groups', k + 1)
for p = 0, parts - 1 do call('XGROUP', 'CREATE', stream(k, p), 'g', '0', 'MKSTREAM') end
return 1
