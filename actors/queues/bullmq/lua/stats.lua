-- How the queue stands, in a time that does not grow with it.
-- Returns how many wait, are prioritized, delayed, active, completed, failed, wait for children and are parked, whether
--   it is paused, and when the oldest that waits was added (false: none).
-- The next jobs are at the end of a list, what comes back after a while is put at its head, and the oldest of a priority
--   is its first one: there the oldest of all is looked for.

local oldest
local function look(id)
  local added = id and tonumber(redis.call('HGET', root .. id, 'timestamp'))
  if added and (not oldest or added < oldest) then oldest = added end
end

local function size(command, name) return redis.call(command, root .. name) end
for _, name in ipairs({'wait', 'paused'}) do
  for _, id in ipairs(redis.call('LRANGE', root .. name, -8, -1)) do look(id) end
  for _, id in ipairs(redis.call('LRANGE', root .. name, 0, 7)) do look(id) end
end
for _, id in ipairs(redis.call('ZRANGE', root .. 'pm:parked', 0, 7)) do look(id) end
local from = '-inf'
for _ = 1, 64 do
  local first = redis.call('ZRANGEBYSCORE', root .. 'prioritized', from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if not first[1] then break end
  look(first[1])
  from = string.format('%.0f', (math.floor(tonumber(first[2]) / 0x100000000) + 1) * 0x100000000)
end
return {
  size('LLEN', 'wait') + size('LLEN', 'paused'), size('ZCARD', 'prioritized'), size('ZCARD', 'delayed'),
  size('LLEN', 'active'), size('ZCARD', 'completed'), size('ZCARD', 'failed'), size('ZCARD', 'waiting-children'),
  size('ZCARD', 'pm:parked'), redis.call('HEXISTS', root .. 'meta', 'paused'), oldest or false,
}
