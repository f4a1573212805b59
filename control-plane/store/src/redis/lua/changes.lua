-- KEYS: meta, feed. ARGV: fresh incarnation, number to read from, limit.
local incarnation = history(KEYS[1], ARGV[1])
local held = redis.call('HMGET', KEYS[1], 'head', 'floor', 'identity', 'since')
local head, floor = held[1] or '0', held[2] or '0'
local entries = false
if tonumber(ARGV[2]) >= tonumber(floor) and tonumber(ARGV[2]) <= tonumber(head) then
  entries = redis.call('XRANGE', KEYS[2], '(' .. ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])
end
return {incarnation, head, held[3], held[4], redis.call('TIME'), entries}
