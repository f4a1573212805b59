-- KEYS: leader. ARGV: holder.
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'holder', '', 'ends', '0')
end
return 1
