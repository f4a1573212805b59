-- Writes a cell that is still as it was read; else gives what it holds now, as `cell_read`.
-- KEYS: cell. ARGV: whether it was there, what was read, 'put' or 'remove', the new value.
local held = redis.call('GET', KEYS[1])
local same
if ARGV[1] == '1' then
  same = held == ARGV[2]
else
  same = not held
end
if same then
  if ARGV[3] == 'put' then
    redis.call('SET', KEYS[1], ARGV[4])
  else
    redis.call('DEL', KEYS[1])
  end
  return 1
end
local time = redis.call('TIME')
local life = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
return {held, time[1], time[2], life}
