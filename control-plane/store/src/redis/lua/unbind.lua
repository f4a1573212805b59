-- KEYS: binding, names and ends of its shelf. ARGV: the binding's name.
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return redis.call('DEL', KEYS[1])
