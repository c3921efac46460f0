-- In a batch most jobs have the same options, and all claims the same: what was unpacked or encoded once is not again,
-- and what is given unpacked is taken as it is. None of the package's scripts that are called here changes it.
local cmsgpack, cjson = cmsgpack, cjson
do
  local packs, jsons = cmsgpack, cjson
  local unpacked, encoded_from, encoded = {}, nil, nil
  cmsgpack = {pack = packs.pack, unpack = function(given)
    if type(given) == 'table' then
      return given
    end
    local value = unpacked[given]
    if value == nil then
      value = packs.unpack(given)
      unpacked[given] = value
    end
    return value
  end}
  cjson = {decode = jsons.decode, encode = function(value)
    if value ~= encoded_from then
      encoded_from, encoded = value, jsons.encode(value)
    end
    return encoded
  end}
end
