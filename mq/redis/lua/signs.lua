-- ARGV: base, group. Returns w.
local k = call('HGET', base .. 'g', ARGV[2])
if not k then return {} end
return call('HGETALL', base .. 'w:' .. k)
