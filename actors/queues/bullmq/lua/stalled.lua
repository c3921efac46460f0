-- Brings back jobs whose worker died. Wants a maker of the package's script as stalled, and what order.lua and stalling.lua have.
-- ARGV[1], packed: now, most (stalls), interval (milliseconds), cursor (in the hash of owners).
-- Returns the ids of the jobs that wait again, and the cursor to go on with.
local asked = cmsgpack.unpack(ARGV[1])
local back = stalled(in_turn)({root .. 'stalled', root .. 'wait', root .. 'active', root .. 'stalled-check', root .. 'meta',
  root .. 'paused', root .. 'marker', root .. 'events', root .. 'repeat'},
  {asked.most, root, asked.now, asked.interval})

-- Owners that others have deleted or finished hold nobody back for longer than until now.
local MOST = 1000
local looked = {}
for _, id in ipairs(redis.call('ZRANGE', PARKED, 0, MOST - 1)) do
  local key = redis.call('HGET', root .. id, 'pmk')
  if not key then
    redis.call('ZREM', PARKED, id)
  elseif not looked[key] then
    looked[key] = true
    local owner = redis.call('HGET', OWNERS, key)
    if not owner or not is_unfinished(owner) then
      hand_on(key)
    end
  end
end
local scanned = redis.call('HSCAN', OWNERS, asked.cursor, 'COUNT', MOST)
local owners = scanned[2]
for index = 1, #owners, 2 do
  if not is_unfinished(owners[index + 1]) then
    give_up_key(owners[index + 1], owners[index])
  end
end
return {back, scanned[1]}
