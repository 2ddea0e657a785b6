"""What is wrong here: everything that signing and verifying rest on, looked at one by one.

Read `examination` first. Nothing here changes anything, on this machine or on a server.
"""
