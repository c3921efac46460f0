-- A page of jobs.
-- ARGV: start, limit, bytes, states. It ends with the job that makes it larger than so many bytes.
-- Wants due. Returns how many places it took, whether it is that large (1 or 0), and for each job: its id, state,
--   whether it is parked (1 or 0), when it is due (false unless it is delayed), and its hash.
local start, limit, bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local page, taken, size = {}, 0, 0
local function take(state, parked, count, read)
  if start >= count then
    start = start - count
  elseif limit > taken and size <= bytes then
    for _, id in ipairs(read(start, math.min(count, start + limit - taken) - 1)) do
      local fields = redis.call('HGETALL', root .. id)
      if #fields > 0 then page[#page + 1] = {id, state, parked, due_ms(id, state), fields} end
      for _, text in ipairs(fields) do size = size + #text end
      taken = taken + 1
      if size > bytes then break end
    end
    start = 0
  end
end
local function from_set(state, parked, name, command)
  local key = root .. name
  take(state, parked, redis.call('ZCARD', key), function(from, to) return redis.call(command, key, from, to) end)
end
-- What comes next is at the end of a list.
local function from_list(state, name)
  local key = root .. name
  take(state, 0, redis.call('LLEN', key), function(from, to)
    local ids, turned = redis.call('LRANGE', key, -to - 1, -from - 1), {}
    for at = #ids, 1, -1 do turned[#turned + 1] = ids[at] end
    return turned
  end)
end
for at = 4, #ARGV do
  local state = ARGV[at]
  if state == 'waiting' then
    from_list(state, 'wait')
    from_list(state, 'paused')
    from_set(state, 1, 'pm:parked', 'ZRANGE')
  elseif state == 'active' then
    from_list(state, state)
  elseif state == 'completed' or state == 'failed' then
    from_set(state, 0, state, 'ZREVRANGE')
  else
    from_set(state, 0, state, 'ZRANGE')
  end
end
return {taken, size > bytes and 1 or 0, page}
