-- A delayed job waits now. Wants the package's script as promote.
local function again(id)
  local keys = {}
  for at, name in ipairs({'delayed', 'wait', 'paused', 'meta', 'prioritized', 'active', 'pc', 'events', 'marker'}) do
    keys[at] = root .. name
  end
  return promote(keys, {root, id}, redis) == 0
end
