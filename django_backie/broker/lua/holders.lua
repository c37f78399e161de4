-- Tell which jobs have unique keys.
-- keys: u
-- args: prefix
-- include: time record unique
-- The rest: keys.
-- Answers for each the id of its job, or "".
local answers, now = {}, now_ms()
for at = first, #ARGV do answers[#answers + 1] = holder_of(prefix, ARGV[at], now) or '' end
return answers
