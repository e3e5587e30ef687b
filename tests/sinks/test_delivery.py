#!/usr/bin/env python3
"""The outage exercise itself: what its check must notice."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from delivery import body_of, check, event_of  # noqa: E402

PROMISED = {f"{i:016x}-tag": (i % 2, i) for i in range(1, 7)}
ARRIVED = [(event_id, f"key{client}", body_of(client, number))
           for event_id, (client, number) in PROMISED.items()]


class Check(unittest.TestCase):
    def wrong(self, arrived, deduplicates=True):
        return [line.split(",")[0] for line in check(PROMISED, arrived, deduplicates)[1]]

    def test_as_it_should_be(self):
        self.assertEqual((0, []), check(PROMISED, ARRIVED, True))

    def test_clients_may_overtake_each_other(self):
        self.assertEqual([], self.wrong(ARRIVED[::2] + ARRIVED[1::2]))

    def test_missing(self):
        self.assertEqual(["1 missing"], self.wrong(ARRIVED[:-1]))

    def test_repeated(self):
        self.assertEqual(["1 repeated"], self.wrong(ARRIVED + ARRIVED[:1]))
        self.assertEqual((1, []), check(PROMISED, ARRIVED + ARRIVED[:1], False))

    def test_order_of_a_client(self):
        self.assertEqual(["1 unordered"], self.wrong([ARRIVED[2], *ARRIVED[:2], *ARRIVED[3:]]))

    def test_changed(self):
        event_id, key, body = ARRIVED[0]
        self.assertEqual(["1 changed"], self.wrong([(event_id, key, body + b" "), *ARRIVED[1:]]))

    def test_body_of_another(self):
        event_id, key, _ = ARRIVED[0]
        self.assertEqual(["1 swapped"], self.wrong([(event_id, key, ARRIVED[2][2]), *ARRIVED[1:]]))

    def test_keys(self):
        self.assertEqual(["1 keys"], self.wrong([(i, "one", b) for i, _, b in ARRIVED]))
        event_id, _, body = ARRIVED[0]
        self.assertEqual(["2 keys"], self.wrong([(event_id, "other", body), *ARRIVED[1:]]))
        self.assertEqual([], self.wrong([(i, None, b) for i, _, b in ARRIVED]))

    def test_an_event_that_was_not_promised_may_arrive(self):
        self.assertEqual([], self.wrong([*ARRIVED, ("0000000000000007-tag", "key1", body_of(1, 7))]))

    def test_structured_events(self):
        head = b'{"id":"i","partitionkey":"k"'
        self.assertEqual(("i", "k", b' {"data": 1}'), event_of(
            head + b',"datacontenttype":"application/json","data": {"data": 1}}'))
        self.assertEqual(("i", "k", b'a"'), event_of(
            head + b',"datacontenttype":"text/plain","data":"a\\""}'))
        self.assertEqual(("i", "k", b"\xff"), event_of(
            head + b',"datacontenttype":"x/y","data_base64":"/w=="}'))


if __name__ == "__main__":
    unittest.main(verbosity=2)
