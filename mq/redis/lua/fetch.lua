-- ARGV: base, group, consumer, what w has of it, how many. Returns the jobs, each as {"P:ID", attempt, job, history}; the time in ms until one more is due (-1: none); the group's number; and, if there are no jobs, from where on
-- to wait: the stream's and wake's last IDs.
local group, consumer, value, most = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local k = call('HGET', base .. 'g', group)
if not k then return fail('NOQUEUE', 'there is no such queue') end
if call('HGET', base .. 'w:' .. k, consumer) ~= value then call('HSET', base .. 'w:' .. k, consumer, value) end
local t, out = now(), {}
move(t)

local function take(p, entry, attempt, history)
	out[#out + 1] = {p .. ':' .. entry[1], attempt, entry[2][2], history}
end

for _, member in ipairs(call('ZRANGEBYSCORE', base .. 'r:' .. k, '-inf', t, 'LIMIT', 0, most)) do
	local p, id = split(member)
	local entry = call('XCLAIM', stream(k, p), 'g', consumer, 0, id)[1]
	call('ZREM', base .. 'r:' .. k, member)
	if entry then
		local attempt = call('XPENDING', stream(k, p), 'g', id, id, 1)[1][4]
		take(p, entry, attempt, call('HGET', base .. 'h:' .. k, member))
	end
end

local function new(p, n)
	local got = call('XREADGROUP', 'GROUP', 'g', consumer, 'COUNT', n, 'STREAMS', stream(k, p), '>')
	if got then
		for _, entry in ipairs(got[1][2]) do take(p, entry, 1, false) end
	end
end

local parts = tonumber(call('HGET', base .. 'o', 'partitions'))
if parts == 1 and call('HGET', base .. 'o', 'ordered') == '0' then
	if #out < most then new(0, most - #out) end
else -- of a partition one job is out at most; they take turns to be first
	local first = call('HINCRBY', base .. 'o', 'turn', 1)
	for i = 0, parts - 1 do
		if #out >= most then break end
		local p = (first + i) % parts
		if call('XPENDING', stream(k, p), 'g')[1] == 0 then new(p, 1) end
	end
end
if #out > 0 then return {out, 0, k} end

local due = -1
for _, key in ipairs({base .. 'd', base .. 'r:' .. k}) do
	local x = call('ZRANGE', key, 0, 0, 'WITHSCORES')
	if x[2] then
		local wait = math.max(x[2] - t, 0)
		if due < 0 or wait < due then due = wait end
	end
end
local last = '0-0'
local g = call('XINFO', 'GROUPS', stream(k, 0))[1]
for i = 1, #g, 2 do
	if g[i] == 'last-delivered-id' then last = g[i + 1] end
end
local w = call('XREVRANGE', base .. 'wake', '+', '-', 'COUNT', 1)[1]
return {out, due, k, last, w and w[1] or '0-0'}
