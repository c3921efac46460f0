-- Deletes jobs that are in a list or a set, from where the next ones are taken.
-- ARGV: its name, how many to leave there (they could not be deleted), how many to look at.
-- Returns how many were looked at, deleted, and could not be deleted.
local name, skip, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local is_list = name == 'wait' or name == 'paused'
local ids
if is_list then
  ids = redis.call('LRANGE', root .. name, -skip - most, -skip - 1)
else
  ids = redis.call('ZRANGE', root .. name, skip, skip + most - 1)
end
local removed, kept = 0, 0
for at = 1, #ids do
  -- The end of a list first, where it is found at once.
  local id = is_list and ids[#ids + 1 - at] or ids[at]
  if redis.call('EXISTS', root .. id) == 0 then
    if is_list then redis.call('LREM', root .. name, -1, id) else redis.call('ZREM', root .. name, id) end
  elseif remove_one(id, '0', name) == 1 then
    removed = removed + 1
  else
    kept = kept + 1
  end
end
return {#ids, removed, kept}
