-- Adds jobs, in their order. Wants the package's scripts as add_standard, add_delayed, add_prioritized,
-- and what order.lua has.
-- ARGV: for each job
--   kind, packed arguments, data, packed options, id (empty: one is made), envelope, order key, deduplication id.
-- Returns for each: the id it has or the other job's, a negative number (a code of the package), or {an error}.

local at = function(name) return root .. name end
local standard = {at('wait'), at('paused'), at('meta'), at('id'), at('completed'), at('delayed'), at('active'),
  at('events'), at('marker')}
local delayed = {at('marker'), at('meta'), at('id'), at('delayed'), at('completed'), at('events')}
local prioritized = {at('marker'), at('meta'), at('id'), at('prioritized'), at('delayed'), at('completed'),
  at('active'), at('events'), at('pc')}

local function keep_envelope(key, envelope, order_key)
  if envelope ~= '' and order_key ~= '' then
    redis.call('HSET', key, 'pm', envelope, 'pmk', order_key)
  elseif envelope ~= '' then
    redis.call('HSET', key, 'pm', envelope)
  elseif order_key ~= '' then
    redis.call('HSET', key, 'pmk', order_key)
  end
end

local function add(first)
  local kind, id, envelope, order_key = ARGV[first], ARGV[first + 4], ARGV[first + 5], ARGV[first + 6]
  local is_known = id ~= '' and redis.call('EXISTS', root .. id) == 1
  local given = {ARGV[first + 1], ARGV[first + 2], ARGV[first + 3]}
  local replaced, replaced_key
  if ARGV[first + 7] ~= '' then
    replaced = redis.call('GET', root .. 'de:' .. ARGV[first + 7])
    replaced_key = replaced and redis.call('HGET', root .. replaced, 'pmk')
  end
  local result
  if kind == 's' then
    result = add_standard(standard, given, quick)
  elseif kind == 'd' then
    result = add_delayed(delayed, given, quick)
  else
    result = add_prioritized(prioritized, given, quick)
  end
  if replaced_key and redis.call('EXISTS', root .. replaced) == 0 then
    give_up_key(replaced, replaced_key)
  end
  if is_known or type(result) ~= 'string' or (envelope == '' and order_key == '') then
    return result
  end
  if id == '' then
    id = redis.call('GET', root .. 'id')
  end
  if result == id then
    keep_envelope(root .. id, envelope, order_key)
  else
    -- Another job has its deduplication id. It may run behind that: then it waits here.
    local next_one = root .. 'dn:' .. ARGV[first + 7]
    if redis.call('HGET', next_one, 'jid') == id then
      keep_envelope(next_one, envelope, order_key)
    end
  end
  return result
end

local results = {}
for first = 1, #ARGV, 8 do
  local is_well, result = pcall(add, first)
  if not is_well then
    result = {type(result) == 'table' and result.err or tostring(result)}
  end
  results[#results + 1] = result
end
return results
