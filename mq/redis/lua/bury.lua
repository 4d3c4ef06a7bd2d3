-- ARGV: base, group, consumer, "P:ID", attempt, history. Returns 1; 0: it is another's; 2: no room for a dead job.
local k = call('HGET', base .. 'g', ARGV[2])
if not k then return fail('NOQUEUE', 'there is no such queue') end
local member = ARGV[4]
local p, id = split(member)
if not mine(stream(k, p), id, ARGV[3], ARGV[5]) then return 0 end
if call('XLEN', base .. 'dead') >= tonumber(call('HGET', base .. 'o', 'maxdead')) then return 2 end
local f = call('XRANGE', stream(k, p), id, id)[1][2]
call('XADD', base .. 'dead', '*', 'j', f[2], 'g', ARGV[2], 'p', p, 'h', ARGV[6])
done(k, member, f[2])
if call('HGET', base .. 'o', 'ordered') == '1' then wake() end
return 1
