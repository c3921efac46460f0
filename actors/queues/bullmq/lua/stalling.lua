-- Redis as the package's script for stalled jobs sees it: they come back in the order in which they were begun, and not
-- in that of a set. What is pushed last comes first, and so does the newest in `active`.
local in_turn = {pcall = redis.pcall, call = function(command, key, ...)
  local found = redis.call(command, key, ...)
  if command ~= 'SMEMBERS' or #found < 2 then
    return found
  end
  local left, sorted = {}, {}
  for _, id in ipairs(found) do left[id] = true end
  for _, id in ipairs(redis.call('LRANGE', root .. 'active', 0, -1)) do
    if left[id] then
      sorted[#sorted + 1] = id
      left[id] = nil
    end
  end
  for id in pairs(left) do sorted[#sorted + 1] = id end
  return sorted
end}
