-- KEYS: markers, marked. ARGV: bound, limit (at most 1000).
local sources = redis.call('ZRANGE', KEYS[2], '-inf', '(' .. ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
if #sources > 0 then
  redis.call('HDEL', KEYS[1], unpack(sources))
  redis.call('ZREM', KEYS[2], unpack(sources))
end
return #sources
