-- A failed job waits again, with all its attempts. Wants a maker of the package's script as reprocess.
local function again(id)
  local key = root .. id
  local read, options = pcall(cjson.decode, redis.call('HGET', key, 'opts') or '{}')
  local push = read and type(options) == 'table' and options['lifo'] and 'RPUSH' or 'LPUSH'
  redis.call('HDEL', key, 'stc', 'defa')
  local keys = {key}
  for _, name in ipairs({'events', 'failed', 'wait', 'meta', 'active', 'marker', 'prioritized', 'pc'}) do
    keys[#keys + 1] = root .. name
  end
  local done = reprocess(redis)(keys, {id, push, 'failedReason', 'failed', '1', '1'})
  if done ~= 1 then redis.call('ZREM', root .. 'failed', id) end
  return done == 1
end
