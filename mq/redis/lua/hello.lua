-- ARGV: base, group, consumer, what w is to have of it. It has a new connection.
local k = call('HGET', base .. 'g', ARGV[2])
if k then call('HSET', base .. 'w:' .. k, ARGV[3], ARGV[4]) end
return 1
