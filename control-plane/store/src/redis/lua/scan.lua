-- KEYS: documents, ids. ARGV: lower bound, limit (at most 1000: arguments are unpacked).
local ids = redis.call('ZRANGE', KEYS[2], ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
if #ids == 0 then
  return {{}, {}}
end
return {ids, redis.call('HMGET', KEYS[1], unpack(ids))}
