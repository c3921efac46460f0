-- Order by key: of the jobs of one key only one is under way, and is its owner, until it has finished for good.
-- A job that finds its key taken is parked: it stands in the line of its key, and in no list of BullMQ's.

local OWNERS, PARKED = root .. 'pm:owners', root .. 'pm:parked'

local function is_unfinished(id)
  local known = redis.call('HMGET', root .. id, 'timestamp', 'finishedOn')
  return known[1] and not known[2]
end

-- Before all others of its priority, whose scores are that and, behind it, rising numbers from 1. The package gives all
-- that come back the number 0, and so they would come in the order of their ids.
local EACH, ROOM = 0x100000000, 0x100000
local function first_score(priority)
  local lowest = priority * EACH
  local first = redis.call('ZRANGEBYSCORE', root .. 'prioritized', lowest, lowest + EACH - 1, 'WITHSCORES', 'LIMIT', 0, 1)
  if first[2] then
    return math.max(tonumber(first[2]) - 1, lowest)
  end
  local last = tonumber(redis.call('GET', root .. 'pc')) or 0
  if last < ROOM then
    last = ROOM
    redis.call('SET', root .. 'pc', last)
  end
  return lowest + last % EACH
end

local function to_the_front(id)
  local priority = tonumber(redis.call('HGET', root .. id, 'priority')) or 0
  if priority > 0 then
    redis.call('ZADD', root .. 'prioritized', first_score(priority), id)
  else
    redis.call('RPUSH', root .. 'wait', id)
  end
  if redis.call('HEXISTS', root .. 'meta', 'paused') == 0 then
    redis.call('ZADD', root .. 'marker', 0, '0')
  end
end

-- The next of the line owns the key, and waits at the front; without one nobody owns it.
local function hand_on(key)
  local line = root .. 'pm:line:' .. key
  while true do
    local id = redis.call('LPOP', line)
    if not id then
      redis.call('HDEL', OWNERS, key)
      return
    end
    if redis.call('ZREM', PARKED, id) == 1 and is_unfinished(id) then
      redis.call('HSET', OWNERS, key, id)
      to_the_front(id)
      return
    end
  end
end

-- To be called for a job that has finished for good, or is deleted.
local function give_up_key(id, key)
  if redis.call('HGET', OWNERS, key) == id then
    hand_on(key)
  end
end

local function park(id, key)
  redis.call('RPUSH', root .. 'pm:line:' .. key, id)
  redis.call('ZADD', PARKED, redis.call('INCR', root .. 'pm:parkings'), id)
end

-- Whether a job may begin: then it owns its key from now on.
local function take_key(id, key)
  local owner = redis.call('HGET', OWNERS, key)
  if owner == id then
    return true
  end
  if owner and not is_unfinished(owner) then
    -- Deleted, or finished, by somebody who knows nothing of keys.
    hand_on(key)
    owner = redis.call('HGET', OWNERS, key)
  end
  if owner then
    return false
  end
  redis.call('HSET', OWNERS, key, id)
  return true
end
