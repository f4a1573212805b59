-- KEYS: documents, index. ARGV: index value.
local id = redis.call('HGET', KEYS[2], ARGV[1])
if not id then
  return false
end
return {id, redis.call('HGET', KEYS[1], id)}
