-- Deletes a job, and gives up its order key. Wants a maker of the package's script as remove_job, and what order.lua has.

-- `listed` is the list or the set that it is in, where that is known: the package's script would look through whole
-- lists for it.
local function remove_one(id, children, listed)
  local key = root .. id
  local order = redis.call('HGET', key, 'pmk')
  local near = {pcall = redis.pcall, call = function(command, ...)
    if command == 'LREM' and listed then
      local list, _, member = ...
      return list == root .. listed and redis.call('LREM', list, -1, member) or 0
    end
    return redis.call(command, ...)
  end}
  local done = remove_job(near)({key, root .. 'repeat'}, {id, children, root})
  if done == 1 and order then
    if redis.call('ZREM', PARKED, id) == 1 then
      redis.call('LREM', root .. 'pm:line:' .. order, 1, id)
    end
    give_up_key(id, order)
  end
  return done
end
