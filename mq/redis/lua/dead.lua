-- ARGV: base, what to do (redrive or drop), the ID of a dead job.
-- Returns 1, or 0: there is none.
local x = call('XRANGE', base .. 'dead', ARGV[3], ARGV[3])[1]
if not x then return 0 end
call('XDEL', base .. 'dead', ARGV[3])
if ARGV[2] == 'redrive' then
	local f = x[2]
	add({call('HGET', base .. 'g', f[4])}, f[6], f[2])
	wake()
end
return 1
