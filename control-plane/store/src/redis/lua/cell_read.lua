-- KEYS: cell. Gives what it holds, the clock, and the server's life.
local time = redis.call('TIME')
local life = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
return {redis.call('GET', KEYS[1]), time[1], time[2], life}
