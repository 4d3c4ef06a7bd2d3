-- ARGV: base of the store, what to do, key, value, expiry in seconds (0: none), version.
-- A key is a hash of the value, v, and its version, n, which no other value of the store has had.
-- Returns 1; 0: there is no value; 2: there is one; 3: it has another version.
local what, key, value, expiry, version = ARGV[2], base .. 'v:' .. ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local has = call('HGET', key, 'n')
if what == 'add' and has then return 2 end
if what == 'swap' and not has then return 0 end
if what == 'swap' and has ~= version then return 3 end
call('HSET', key, 'v', value, 'n', call('INCR', base .. 'n'))
if expiry > 0 then call('EXPIRE', key, expiry) else call('PERSIST', key) end
return 1
