-- KEYS: positions, bodies. ARGV: upper bound, limit (at most 1000).
local positions = redis.call('ZRANGE', KEYS[1], ARGV[1], '-', 'BYLEX', 'REV', 'LIMIT', 0, ARGV[2])
if #positions == 0 then
  return {{}, {}}
end
local ids = {}
for n, position in ipairs(positions) do
  ids[n] = string.sub(position, 16)
end
return {positions, redis.call('HMGET', KEYS[2], unpack(ids))}
