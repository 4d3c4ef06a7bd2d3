-- ARGV: base, group, consumer, "P:ID", attempt. Returns 1, or 0: it is another's.
local k = call('HGET', base .. 'g', ARGV[2])
if not k then return fail('NOQUEUE', 'there is no such queue') end
local p, id = split(ARGV[4])
if not mine(stream(k, p), id, ARGV[3], ARGV[5]) then return 0 end
call('XCLAIM', stream(k, p), 'g', ARGV[3], 0, id, 'JUSTID')
return 1
