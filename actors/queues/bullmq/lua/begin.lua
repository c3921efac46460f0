-- A consumer begins. Wants a maker of the package's script as stalled, and what order.lua and stalling.lua have.
-- ARGV[1], packed: now, token, identity, living (tokens), takes_back, sign (false: no order), most (stalls).
-- Returns the ids of the jobs that an earlier process of this identity had in hand: they wait again, as stalled.
local asked = cmsgpack.unpack(ARGV[1])
local TOKENS = root .. 'pm:tokens:' .. asked.identity
local living, dead, is_one_dead = {}, {}, false
for _, token in ipairs(asked.living) do living[token] = true end
for _, token in ipairs(redis.call('SMEMBERS', TOKENS)) do
  if asked.takes_back and not living[token] then
    dead[token], is_one_dead = true, true
    redis.call('SREM', TOKENS, token)
    redis.call('DEL', root .. 'pm:turn:' .. token)
  end
end

-- What is parked by an order that is no more waits again: it comes first, in the order in which it was parked,
-- and behind what comes back, which is older.
local sign, SIGN = asked.sign, root .. 'pm:sign'
if redis.call('GET', SIGN) ~= (sign or '') then
  redis.call('SET', SIGN, sign or '')
  for _, id in ipairs(redis.call('ZREVRANGE', PARKED, 0, -1)) do
    local key = redis.call('HGET', root .. id, 'pmk')
    if not (sign and key and string.sub(key, 1, #sign) == sign) then
      redis.call('ZREM', PARKED, id)
      if key then redis.call('LREM', root .. 'pm:line:' .. key, 1, id) end
      if is_unfinished(id) then to_the_front(id) end
    end
  end
end

local back = {}
if is_one_dead then
  -- What the package does for jobs without a lock, for these alone and at once.
  local THESE, CHECK = root .. 'pm:stalled', root .. 'pm:stalled-check'
  redis.call('DEL', THESE, CHECK)
  for _, id in ipairs(redis.call('LRANGE', root .. 'active', 0, -1)) do
    local token = redis.call('GET', root .. id .. ':lock')
    if token and dead[token] then
      redis.call('DEL', root .. id .. ':lock')
      redis.call('SADD', THESE, id)
    end
  end
  if redis.call('EXISTS', THESE) == 1 then
    back = stalled(in_turn)({THESE, root .. 'wait', root .. 'active', CHECK, root .. 'meta', root .. 'paused', root .. 'marker',
      root .. 'events', root .. 'repeat'}, {asked.most, root, asked.now, 60000})
  end
  redis.call('DEL', THESE, CHECK)
end
redis.call('SADD', TOKENS, asked.token)
return back
