-- A job with its state. Wants due, and a maker of the package's script as state_of.
-- ARGV[1]: id. Returns what page.lua has for each job, or false.
local id = ARGV[1]
local fields = redis.call('HGETALL', root .. id)
if #fields == 0 then return false end
if redis.call('ZSCORE', root .. 'pm:parked', id) then return {id, 'waiting', 1, false, fields} end
local keys = {}
for at, name in ipairs({'completed', 'failed', 'delayed', 'active', 'wait', 'paused', 'waiting-children',
    'prioritized'}) do keys[at] = root .. name end
local state = state_of(redis)(keys, {id})
return {id, state, 0, due_ms(id, state), fields}
