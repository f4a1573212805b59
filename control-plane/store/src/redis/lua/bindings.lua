-- KEYS: bindings. Of each its account and the milliseconds that it still lives; one that is gone has 0.
local found = {}
for n = 1, #KEYS do
  local account = redis.call('GET', KEYS[n])
  found[2 * n - 1] = account or ''
  found[2 * n] = account and redis.call('PTTL', KEYS[n]) or 0
end
return found
