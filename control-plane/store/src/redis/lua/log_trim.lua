-- KEYS: positions, bodies. ARGV: 'before' or 'length', bound, limit (at most 1000).
local positions
if ARGV[1] == 'before' then
  positions = redis.call('ZRANGE', KEYS[1], '-', ARGV[2], 'BYLEX', 'LIMIT', 0, ARGV[3])
else
  local over = math.min(redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2]), tonumber(ARGV[3]))
  positions = over > 0 and redis.call('ZRANGE', KEYS[1], 0, over - 1) or {}
end
if #positions == 0 then
  return 0
end
local ids = {}
for n, position in ipairs(positions) do
  ids[n] = string.sub(position, 16)
end
redis.call('HDEL', KEYS[2], unpack(ids))
redis.call('ZREM', KEYS[1], unpack(positions))
return #positions
