-- People are found by the beginnings of words of their names: punctuation parts words.
CREATE FUNCTION words(name text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN translate(name, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32));

CREATE INDEX people_by_words_of_their_names ON people USING gin (to_tsvector('simple', words(name)));
