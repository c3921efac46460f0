-- What the queue's keys begin with: all of them are in the slot of the first key.
local root = KEYS[1]
