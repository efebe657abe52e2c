"""Groups the crops of a folder by person, without labels: a CSV file, and contact sheets of the largest groups.

Example: python tools/group.py log/paul_folder crops groups.csv
"""

from paul_command import tool

if __name__ == '__main__':
    tool('group')
