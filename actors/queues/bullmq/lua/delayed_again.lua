-- A delayed job waits now. Wants a maker of the package's script as promote.
local function again(id)
  local keys = {}
  for at, name in ipairs({'delayed', 'wait', 'paused', 'meta', 'prioritized', 'active', 'pc', 'events', 'marker'}) do
    keys[at] = root .. name
  end
  return promote(redis)(keys, {root, id}) == 0
end
