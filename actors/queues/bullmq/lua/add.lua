-- Adds jobs, in their order. Wants makers of the package's scripts as add_standard, add_delayed, add_prioritized,
-- and what quick.lua, adding.lua and order.lua have.
-- ARGV[1], packed: the options of the package that the jobs have, a list. Then for each job:
--   kind, the place of its options in that list (from 1), name, time (epoch milliseconds), data, id (empty: one is made),
--   envelope, order key, deduplication id.
-- Returns for each: the id it has or the other job's, a negative number (a code of the package), or {an error}.

local at = function(name) return root .. name end
local made = {}
local function adder(kind, maker)
  made[kind] = made[kind] or maker(adding)
  return made[kind]
end

local standard = {at('wait'), at('paused'), at('meta'), at('id'), at('completed'), at('delayed'), at('active'),
  at('events'), at('marker')}
local delayed = {at('marker'), at('meta'), at('id'), at('delayed'), at('completed'), at('events')}
local prioritized = {at('marker'), at('meta'), at('id'), at('prioritized'), at('delayed'), at('completed'),
  at('active'), at('events'), at('pc')}

local options = cmsgpack.unpack(ARGV[1])

local function add(first)
  local kind, data, id, deduplication = ARGV[first], ARGV[first + 4], ARGV[first + 5], ARGV[first + 8]
  local args = {root, id, ARGV[first + 2], ARGV[first + 3]}
  local replaced, replaced_key
  if deduplication ~= '' then
    args[9] = root .. 'de:' .. deduplication
    replaced = redis.call('GET', args[9])
    replaced_key = replaced and redis.call('HGET', root .. replaced, 'pmk')
  end
  adding.envelope, adding.order_key, adding.is_kept = ARGV[first + 6], ARGV[first + 7], false
  local given = {args, data, options[tonumber(ARGV[first + 1])]}
  local result
  if kind == 's' then
    result = adder(kind, add_standard)(standard, given)
  elseif kind == 'd' then
    result = adder(kind, add_delayed)(delayed, given)
  else
    result = adder(kind, add_prioritized)(prioritized, given)
  end
  if replaced_key and redis.call('EXISTS', root .. replaced) == 0 then
    give_up_key(replaced, replaced_key)
  end
  if deduplication ~= '' and not adding.is_kept and type(result) == 'string' then
    -- Another job has its deduplication id. It may run behind that: then it waits here.
    local next_one = root .. 'dn:' .. deduplication
    if redis.call('HGET', next_one, 'jid') == (id ~= '' and id or adding.number()) then
      adding.keep('HSET', next_one, 'jid', id ~= '' and id or adding.number())
    end
  end
  return result
end

local results = {}
for first = 2, #ARGV, 9 do
  local is_well, result = pcall(add, first)
  if not is_well then
    result = {type(result) == 'table' and result.err or tostring(result)}
  end
  results[#results + 1] = result
end
adding.finish()
return results
