-- What all scripts share. A queue's keys begin with base, which is "plexor:mq:{QUEUE}:" after the prefix of the URL:
--
--	o        hash: the settings; gen, which no other queue has had; groups, how many there are; and counts: jK, bK jobs
--	         and bytes of group K; jd, bd those whose time has not come; seq; turn
--	g        hash: group -> number. Group k has the streams s:k:0 … s:k:P-1, one for each partition, each with the
--	         consumer group "g". Until there is a group the jobs go to those of number 0.
--	d, D     sorted set: time in ms -> member; hash: member -> the job: such whose time has not come
--	r:K      sorted set: time in ms -> "P:ID": jobs of the group that were given back. In the stream they belong to
--	         the consumer "~".
--	h:K      hash: "P:ID" -> history
--	w:K      hash: consumer -> "visibility in ms|run of the server|connection"
--	i:GEN:ID a key that expires: the ID of a job was seen
--	dead     stream
--	wake     stream of one entry, which is a new one when a consumer that waits should look
--
-- A job is one string here: what mqwire makes of it, a newline, and its body.
local base = ARGV[1]
local call = redis.call

local function now()
	local t = call('TIME')
	return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function fail(code, text) return redis.error_reply(code .. ' ' .. text) end

local function wake() call('XADD', base .. 'wake', 'MAXLEN', 1, '*', 'w', '') end

local function stream(k, p) return base .. 's:' .. k .. ':' .. p end

-- numbers are those of the groups, or that of the first one that there will be.
local function numbers()
	local ks = call('HVALS', base .. 'g')
	if #ks == 0 then ks = {'0'} end
	return ks
end

local function count(k, jobs, bytes)
	call('HINCRBY', base .. 'o', 'j' .. k, jobs)
	call('HINCRBY', base .. 'o', 'b' .. k, bytes)
end

-- size is what a job is charged: the client's charge is the same.
local function size(job) return #job + 64 end

-- add makes a job wait in the groups.
local function add(ks, p, job)
	for _, k in ipairs(ks) do
		call('XADD', stream(k, p), '*', 'j', job)
		count(k, 1, size(job))
	end
end

-- move makes jobs wait whose time has come.
local function move(t)
	local due = call('ZRANGEBYSCORE', base .. 'd', '-inf', t, 'LIMIT', 0, 128)
	if #due == 0 then return end
	local ks = numbers()
	for _, member in ipairs(due) do
		local p, job = unpack(cmsgpack.unpack(call('HGET', base .. 'D', member)))
		call('ZREM', base .. 'd', member)
		call('HDEL', base .. 'D', member)
		count('d', -1, -size(job))
		add(ks, p, job)
	end
	wake()
end

-- mine tells whether a job is the consumer's, since it was handed out to it for this time.
local function mine(key, id, consumer, attempt)
	local x = call('XPENDING', key, 'g', id, id, 1)[1]
	return x and x[2] == consumer and x[4] == tonumber(attempt)
end

local function split(member)
	local p, id = member:match('^(%d+):(.+)$')
	return p, id
end

-- remove takes a job from its group, and tells whether it is one less, which the caller counts.
local function remove(k, member)
	local p, id = split(member)
	local key = stream(k, p)
	call('XACK', key, 'g', id)
	call('HDEL', base .. 'h:' .. k, member)
	return call('XDEL', key, id) == 1
end

-- done takes a job from its group.
local function done(k, member, job)
	if remove(k, member) then count(k, -1, -size(job)) end
end

-- park gives a job back, to be handed out at that time.
local function park(k, p, id, t)
	call('XCLAIM', stream(k, p), 'g', '~', 0, id, 'JUSTID')
	call('ZADD', base .. 'r:' .. k, t, p .. ':' .. id)
end
