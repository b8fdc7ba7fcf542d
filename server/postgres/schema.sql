-- Version 1 of the store's schema.
--
-- Names and payloads are bytea: PostgreSQL's text can hold no zero byte, which a
-- name may have, and bytea is compared bytewise, as listings are to be ordered.
-- A name may be longer than an index entry: indexes hold its hash, and its head
-- where order matters.
--
-- All messages of a namespace belong to its epoch. A replacement gives the
-- namespace another epoch; the rows of the old one stay for a while for those who
-- are reading them, and are removed later.

CREATE SCHEMA eventobench;

CREATE TABLE eventobench.schema_version (version integer NOT NULL);

CREATE SEQUENCE eventobench.epochs;

-- The row of a namespace is its counter, too. Whoever adds messages locks it
-- first and holds the lock until the commit. So there is one writer at a time,
-- who sees all that those before have written; positions and global positions
-- have no gaps, not even for writes that fail; and messages become visible in the
-- order of their global positions: a reader never sees a gap that is filled
-- later. A sequence would hand out global positions faster, but leaves gaps that
-- a reader cannot tell from messages that are not committed yet.
CREATE TABLE eventobench.namespace (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name        bytea NOT NULL,
	description bytea NOT NULL,
	token_hash  bytea NOT NULL,
	created     bigint NOT NULL, -- ns since 1970
	epoch       bigint NOT NULL DEFAULT nextval('eventobench.epochs'),
	gpos        bigint NOT NULL DEFAULT 0, -- the last global position
	messages    bigint NOT NULL DEFAULT 0,
	streams     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50); -- room for new versions of a row on its page
CREATE UNIQUE INDEX namespace_name ON eventobench.namespace (sha256(name));
CREATE UNIQUE INDEX namespace_epoch ON eventobench.namespace (epoch);

-- Epochs that are no namespace's any more, and whose rows are still there.
CREATE TABLE eventobench.retired (
	epoch bigint PRIMARY KEY,
	since timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE eventobench.category (
	id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	epoch bigint NOT NULL,
	name  bytea NOT NULL
);
CREATE UNIQUE INDEX category_name ON eventobench.category (epoch, sha256(name));

CREATE TABLE eventobench.stream (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	epoch    bigint NOT NULL,
	name     bytea NOT NULL,
	category bigint NOT NULL,
	version  bigint NOT NULL DEFAULT -1,
	messages bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX stream_name ON eventobench.stream (epoch, sha256(name));
CREATE INDEX stream_head ON eventobench.stream (epoch, substring(name, 1, 1024));
CREATE INDEX stream_category ON eventobench.stream (category);

CREATE TABLE eventobench.message (
	epoch    bigint NOT NULL,
	gpos     bigint NOT NULL CHECK (gpos <= 9007199254740991),
	stream   bigint NOT NULL,
	category bigint NOT NULL,
	pos      bigint NOT NULL CHECK (pos <= 9007199254740991),
	id       uuid NOT NULL,
	type     bytea NOT NULL,
	data     bytea NOT NULL, -- compact JSON
	metadata bytea,
	time     bigint NOT NULL, -- ns since 1970
	PRIMARY KEY (epoch, gpos)
);
CREATE UNIQUE INDEX message_id ON eventobench.message (epoch, id);
CREATE UNIQUE INDEX message_pos ON eventobench.message (stream, pos);
CREATE INDEX message_category ON eventobench.message (category, gpos);

-- notify tells all servers of a change when the transaction commits. A stream's
-- name that is too long for a notification is left out: any stream may have
-- changed then. Without a namespace's name anything may have changed.
CREATE FUNCTION eventobench.notify(_server bigint, _kind text, _namespace bytea, _detail text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	payload text := concat_ws(' ', _server, _kind, encode(_namespace, 'hex'), _detail);
BEGIN
	IF length(payload) >= 8000 AND _kind = 'written' THEN
		payload := concat_ws(' ', _server, _kind, encode(_namespace, 'hex'));
	END IF;
	IF length(payload) >= 8000 THEN
		payload := concat_ws(' ', _server, 'any');
	END IF;
	PERFORM pg_notify('eventobench', payload);
END $$;

-- open_stream returns a stream, which it creates if there is none.
CREATE FUNCTION eventobench.open_stream(_epoch bigint, _stream bytea, _category bytea) RETURNS eventobench.stream
LANGUAGE plpgsql AS $$
DECLARE
	s eventobench.stream;
	c bigint;
BEGIN
	SELECT * INTO s FROM eventobench.stream WHERE epoch = _epoch AND sha256(name) = sha256(_stream);
	IF FOUND THEN
		RETURN s;
	END IF;
	SELECT id INTO c FROM eventobench.category WHERE epoch = _epoch AND sha256(name) = sha256(_category);
	IF NOT FOUND THEN
		INSERT INTO eventobench.category (epoch, name) VALUES (_epoch, _category) RETURNING id INTO c;
	END IF;
	INSERT INTO eventobench.stream (epoch, name, category) VALUES (_epoch, _stream, c) RETURNING * INTO s;
	RETURN s;
END $$;

-- write appends a message, or says why not: outcome is written, or what stands
-- in the way: namespace, version (pos is then the actual one), positions, id. A
-- null token or expected version is not checked. What is refused changes nothing.
CREATE FUNCTION eventobench.write(
	_server bigint, _namespace bytea, _token bytea, _expected bigint, _id uuid, _stream bytea, _category bytea,
	_type bytea, _data bytea, _metadata bytea, _time bigint,
	OUT outcome text, OUT pos bigint, OUT gpos bigint
) LANGUAGE plpgsql AS $$
DECLARE
	n eventobench.namespace;
	s eventobench.stream;
	fresh boolean;
BEGIN
	SELECT * INTO n FROM eventobench.namespace
		WHERE sha256(name) = sha256(_namespace) AND (_token IS NULL OR token_hash = _token) FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		outcome := 'namespace';
		RETURN;
	END IF;
	SELECT * INTO s FROM eventobench.stream WHERE epoch = n.epoch AND sha256(name) = sha256(_stream);
	fresh := NOT FOUND;
	pos := coalesce(s.version, -1);
	IF _expected <> pos THEN
		outcome := 'version';
		RETURN;
	END IF;
	IF greatest(pos, n.gpos) >= 9007199254740991 THEN
		outcome := 'positions';
		RETURN;
	END IF;
	IF fresh THEN
		IF EXISTS (SELECT FROM eventobench.message m WHERE m.epoch = n.epoch AND m.id = _id) THEN
			outcome := 'id';
			RETURN;
		END IF;
		s := eventobench.open_stream(n.epoch, _stream, _category);
	END IF;
	pos := pos + 1;
	gpos := n.gpos + 1;
	INSERT INTO eventobench.message VALUES
		(n.epoch, write.gpos, s.id, s.category, write.pos, _id, _type, _data, _metadata, _time)
		ON CONFLICT (epoch, id) DO NOTHING;
	IF NOT FOUND THEN
		outcome := 'id';
		RETURN;
	END IF;
	UPDATE eventobench.stream SET version = write.pos, messages = messages + 1 WHERE id = s.id;
	UPDATE eventobench.namespace
		SET gpos = write.gpos, messages = messages + 1, streams = streams + fresh::int WHERE id = n.id;
	PERFORM eventobench.notify(_server, 'written', _namespace, encode(_stream, 'hex'));
	outcome := 'written';
END $$;

-- import adds messages to an epoch at the places they had, in statements for all
-- of them: to update the row of a stream once per message would take the longer,
-- the more versions of it the transaction has made. created is how many streams
-- are new. If the place or the id of any message is taken, the transaction must be
-- rolled back; global positions and ids are then those of the messages that were
-- added, in their order, and else null.
CREATE FUNCTION eventobench.import(
	_epoch bigint, _streams bytea[], _categories bytea[], _types bytea[], _positions bigint[], _gpositions bigint[],
	_ids uuid[], _data bytea[], _metadata bytea[], _times bigint[],
	OUT created bigint, OUT gpositions bigint[], OUT ids uuid[]
) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO eventobench.category (epoch, name)
		SELECT DISTINCT _epoch, name FROM unnest(_categories) AS name
		ON CONFLICT DO NOTHING;
	INSERT INTO eventobench.stream (epoch, name, category)
		SELECT _epoch, d.name, c.id
		FROM (SELECT DISTINCT u.name, u.category FROM unnest(_streams, _categories) AS u (name, category)) AS d
		JOIN eventobench.category c ON c.epoch = _epoch AND sha256(c.name) = sha256(d.category)
		ON CONFLICT DO NOTHING;
	GET DIAGNOSTICS created = ROW_COUNT;
	WITH added AS (
		INSERT INTO eventobench.message AS m
			SELECT _epoch, u.gpos, s.id, s.category, u.pos, u.id, u.type, u.data, u.metadata, u.time
			FROM unnest(_streams, _types, _positions, _gpositions, _ids, _data, _metadata, _times)
				AS u (stream, type, pos, gpos, id, data, metadata, time)
			CROSS JOIN LATERAL ( -- looked up for one after the other, which keeps their order
				SELECT id, category FROM eventobench.stream WHERE epoch = _epoch AND sha256(name) = sha256(u.stream) LIMIT 1
			) AS s
			ON CONFLICT DO NOTHING
			RETURNING m.gpos, m.id
	)
	SELECT array_agg(added.gpos), array_agg(added.id) INTO gpositions, ids FROM added;
	IF cardinality(ids) < cardinality(_ids) OR ids IS NULL THEN
		gpositions := coalesce(gpositions, '{}');
		ids := coalesce(ids, '{}');
		RETURN;
	END IF;
	gpositions := NULL;
	ids := NULL;
	UPDATE eventobench.stream SET version = greatest(version, a.last), messages = stream.messages + a.added
		FROM (
			SELECT u.name, max(u.pos) AS last, count(*) AS added
			FROM unnest(_streams, _positions) AS u (name, pos) GROUP BY u.name
		) AS a
		WHERE epoch = _epoch AND sha256(stream.name) = sha256(a.name);
END $$;

INSERT INTO eventobench.schema_version VALUES (1);
