-- When a delayed job is due, epoch milliseconds; false in any other state. Its score has a number behind the time.
local function due_ms(id, state)
  local score = state == 'delayed' and redis.call('ZSCORE', root .. 'delayed', id)
  return score and math.floor(tonumber(score) / 0x1000)
end
